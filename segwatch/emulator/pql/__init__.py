"""Profile Query Language: from its text and JSON forms to SQL."""
