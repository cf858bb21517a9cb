"""What the local platform computes with: profiles, memberships and exported batches, held in DuckDB."""
