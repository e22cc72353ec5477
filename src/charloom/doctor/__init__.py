"""What `charloom doctor` checks: the machine, the disk, and the services that a night of trainings needs."""
