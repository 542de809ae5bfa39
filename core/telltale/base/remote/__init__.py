"""Computing on somebody else's scheduler, whose workers may be on other machines and share no disk with this one."""
