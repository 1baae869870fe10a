"""truncate.py TOOL FILE SCRATCH: TOOL must end with exit code 0 or 1 on FILE cut at 40 places."""
import subprocess
import sys

tool, source, scratch = sys.argv[1:]
text = open(source, "rb").read()
failed = 0
for part in range(40):
    with open(scratch, "wb") as out:
        out.write(text[: len(text) * part // 40])
    run = subprocess.run([tool, scratch], capture_output=True, timeout=60)
    if run.returncode not in (0, 1):
        sys.exit(f"exit code {run.returncode} after {len(text) * part // 40} bytes: {run.stderr.decode()}")
    if run.returncode == 1 and b"error: " not in run.stderr:
        sys.exit(f"no error after {len(text) * part // 40} bytes")
    failed += run.returncode
if failed < 20:
    sys.exit(f"only {failed} of 40 cuts were an error")
