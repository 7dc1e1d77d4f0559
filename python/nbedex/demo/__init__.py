"""A virtual lamella with known truth: scanned, written as a real 4D file, and compared with what is found."""
