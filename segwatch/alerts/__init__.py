"""What is wrong, and since when: alerts that events open and close, grouped for those who are told. Pure."""
