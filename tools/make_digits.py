"""Make relaxeq/data/digits.npz from the digits.csv.gz of a scikit-learn wheel, once.

pip download --no-deps --dest WHEELS scikit-learn
python tools/make_digits.py WHEELS/scikit_learn-*.whl
"""

import argparse
import hashlib
import zipfile
from gzip import decompress
from pathlib import Path

import numpy as np

MEMBER = "sklearn/datasets/data/digits.csv.gz"
SOURCE_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
TARGET = Path(__file__).parents[1] / "relaxeq" / "data" / "digits.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make digits.npz from a scikit-learn wheel.")
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        packed = wheel.read(MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != SOURCE_SHA256:
        raise SystemExit(f"{MEMBER} has SHA-256 {found}, not {SOURCE_SHA256}: another data set?")
    rows = np.loadtxt(decompress(packed).decode().splitlines(), delimiter=",", dtype=np.uint8)
    images, labels = rows[:, :64].reshape(-1, 8, 8), rows[:, 64]
    np.savez_compressed(TARGET, images=images, labels=labels)
    print(
        f"{TARGET}: {len(labels)} digits, SHA-256 {hashlib.sha256(TARGET.read_bytes()).hexdigest()}"
    )


if __name__ == "__main__":
    main()
