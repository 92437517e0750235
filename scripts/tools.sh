# shellcheck shell=bash
# What tests and measurements need beside the product. Sourced after lib.sh.

# A mail server and a judge of openapi.json from PyPI, a browser, openssl, PostgreSQL: each only if it is missing.
test_tools() {
    apt_install openssl
    postgres_tools
    if ! have chromium && ! have google-chrome; then apt_install chromium fonts-dejavu-core; fi
    local venv=$CACHE/venv wanted=$ROOT/tests/requirements.txt python=python3
    cmp -s "$wanted" "$venv/requirements.txt" && "$venv/bin/python" -c 'import aiosmtpd' 2>/dev/null && return 0
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3 python3-venv
        python=/usr/bin/python3
    fi
    say "Python packages into .cache/venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/requirements.txt"
}

# PostgreSQL's programs. Tests start servers of their own, so no cluster of the system is made or started.
postgres_tools() {
    local initdb
    if have initdb && have postgres; then return 0; fi
    for initdb in /usr/lib/postgresql/*/bin/initdb; do [ -x "$initdb" ] && return 0; done
    local settings=/etc/postgresql-common/createcluster.conf
    if is_debian && [ "$(id -u)" = 0 ] && ! [ -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        echo 'create_main_cluster = false' >"$settings"
    fi
    apt_install postgresql
}
