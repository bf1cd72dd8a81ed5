"""The fields of GRPOConfig and what each accepts, known without loading torch."""
