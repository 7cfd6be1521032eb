"""What is made with wmcontrol and does not travel with it; run from the root of the repository."""
