"""`python -m rig.host make|close FOLDER`."""

from rig.host import main

main()
