"""The pages, one file each; every one calls services only."""
