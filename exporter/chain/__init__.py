"""What an EVM chain says: the ABI of a few functions, JSON-RPC with several services, many calls in one."""
