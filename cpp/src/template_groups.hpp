// Which templates are bounded together, and by what.
#pragma once

#include "nbedex/templates.hpp"

namespace nbedex {

/// Groups of the templates, given their spots and `grouped`.
[[nodiscard]] TemplateGroups group_templates(const TemplateSet& templates);

}  // namespace nbedex
