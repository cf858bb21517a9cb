"""What users say in place of the standard texts: Jinja, without whatever could run for long or reach out."""
