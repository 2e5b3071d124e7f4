"""What a worker of test_processes.py is forked with."""
