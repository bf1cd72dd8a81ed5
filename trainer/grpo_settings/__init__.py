"""The fields of GRPOConfig and the folders of models: what of them the installed packages take, known without torch."""
