# For the setup scripts, which read this in: a Python environment as a file of requirements has it.

# python_environment CALLER FOLDER REQUIREMENTS: the requirements are kept beside what was installed from them
python_environment() {
    if cmp -s "$3" "$2/installed-requirements.txt" && "$2/bin/python" --version >/dev/null 2>&1; then
        echo "$1: $2 is as $3 has it"
        return
    fi
    if ! python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$1: MISSING python3, 3.11 or newer, with venv" >&2
        echo "            mend it with: apt-get install -y python3 python3-venv, or: brew install python" >&2
        exit 1
    fi
    echo "$1: $2: python3 -m venv, pip install -r $3"
    rm -rf "$2"
    python3 -m venv "$2"
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$3"
    cp "$3" "$2/installed-requirements.txt"
}
