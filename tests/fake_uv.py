"""A stand-in for uv in tests/test_setup_env.py: it logs its calls and fails with uv's own words.

FAKE_UV picks the failure; FAKE_LOG is the log, and FAKE_LOG.pid holds the last process's id.
"""

import json
import os
import sys
import time
import venv

arguments = sys.argv[1:]
if arguments == ["--version"]:
    print("uv", os.environ.get("FAKE_VERSION", "0.13.8"))
    sys.exit()
names = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "UV_TORCH_BACKEND")
seen = {name: os.environ[name] for name in names if name in os.environ}
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps([arguments, seen]) + "\n")
with open(os.environ["FAKE_LOG"] + ".pid", "w") as file:
    file.write(str(os.getpid()))
if arguments[0] == "venv":
    venv.create(arguments[-1], with_pip=False, symlinks=True)
    sys.exit()
mode = os.environ.get("FAKE_UV", "")
if mode == "network" and "--offline" in arguments:
    sys.exit("error: No solution found\n  cause: Because six was not found in the cache")
if mode == "network":
    sys.exit("error: Request failed after 3 retries in 12.7s\n  cause: tcp connect error")
if mode == "disk":
    sys.exit("error: Failed to install: torch\n  cause: No space left on device (os error 28)")
if mode == "strange":
    sys.exit("error: the moon is in the wrong house")
print("Resolved 183 packages in 1.00s", flush=True)
time.sleep({"slow": 0.7, "hang": 60}.get(mode, 0))
