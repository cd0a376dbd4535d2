"""Where the image starts the agent, by this file's path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bailee.cloud.guest.agent import main

main()
