# shellcheck shell=bash
# Sourced: a copy of this checkout for somebody else, and what pip is told on this machine.

# copy_checkout FOLDER: what git keeps or would keep of the checkout in the current folder, and its history where it has one.
copy_checkout() {
  mkdir -p "$1"
  {
    git ls-files -z --cached --others --exclude-standard
    if [ -d .git ]; then printf '.git\0'; fi
  } | tar --create --null --files-from - --ignore-failed-read --warning=no-failed-read | tar --extract --directory "$1"
}

# copy_pip_settings HOME: what pip reads in a home folder.
copy_pip_settings() {
  local file
  for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf"; do
    if [ -f "$file" ]; then
      install -D -m 644 "$file" "$1/.config/pip/pip.conf"
      return
    fi
  done
}
