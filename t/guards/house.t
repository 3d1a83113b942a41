#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Guards of the house: what belongs together stays together, what belongs apart stays apart. TAP.
cd "${srcdir:-.}" || exit 1
number=0

# Prints one TAP line: the test failed when $2, what speaks against it, is not empty.
verdict() { # NAME FINDINGS
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        echo "$2" | sed 's/^/# /'
    fi
}

# Lines that stand in only one of two sorted lists.
difference() { # LIST LIST
    {
        echo "$1" | sort -u
        echo "$2" | sort -u
    } | sort | uniq -u | grep .
}

source=mod_gemclone
library="$source/core $source/store $source/work $source/upstream"

verdict 'the library includes no httpd header' "$(grep -rnE \
    '#include *[<"](httpd|http_[a-z]+|ap_[a-z]+|util_[a-z]+|mod_[a-z]+|mpm_common|scoreboard)\.h' \
    $library)"

verdict 'of stream only what answers clients includes an httpd header' "$(grep -rlE \
    '#include *[<"](httpd|http_[a-z]+|ap_[a-z]+|util_[a-z]+|mod_[a-z]+|mpm_common|scoreboard)\.h' \
    $source/stream | grep -vE '/(stream\.[ch]|suspended\.c|blocking\.c)$')"

verdict 'core uses no other room' "$(grep -rnE '#include "(store|work|upstream|stream|api)/' $source/core)"
verdict 'upstream uses no other room but core' "$(grep -rnE '#include "(store|work|stream|api)/' $source/upstream)"
verdict 'store uses no other room but core' "$(grep -rnE '#include "(upstream|work|stream|api)/' $source/store)"
verdict 'work knows no stream' "$(grep -rnE '#include "(stream|api)/' $source/work)"
verdict 'stream uses neither upstream nor api' "$(grep -rnE '#include "(upstream|api)/' $source/stream)"
verdict 'api never calls upstream' "$(grep -rnE 'gc_loop_|#include "upstream/http' $source/api)"
verdict 'all SQL is in store' "$(grep -rnE '"(SELECT|INSERT|UPDATE|DELETE|WITH) ' $source \
    --include='*.[ch]' | grep -v "^$source/store/statement_list.h")"
for foreign in libpq-fe.h:store/db.c curl/curl.h:upstream/http.c,service.c jwt.h:core/token.c; do
    where=$(echo "${foreign#*:}" | tr ',' '\n' | sed "s|^|$source/|")
    verdict "${foreign%%:*} is included where it belongs only" "$(difference "$where" \
        "$(grep -rlF "#include <${foreign%%:*}>" $source)")"
done

in_list=$(sed -nE 's/^(FLAG|INTEGER|DURATION|SIZE|TEXT|SECRET|LIST) *\([a-z0-9_]+, "([A-Za-z]+)".*/\2/p' \
    $source/config_list.h)
verdict 'each directive is documented in conf/gemclone.conf, and no other' "$(difference \
    "$in_list
GemcloneEngine" "$(sed -nE 's/^## (Gemclone[A-Za-z]+)$/\1/p' conf/gemclone.conf)")"
verdict 'each entry of conf/gemclone.conf has description, syntax, default and context' "$(awk '
    function done() { if (name && seen != "DSVC") print name ": has " seen }
    /^## / { done(); name = substr($0, 4); seen = "" }
    /^# Description: /{ seen = seen "D" } /^# Syntax: / { seen = seen "S" }
    /^# Default: / { seen = seen "V" } /^# Context: / { seen = seen "C" }
    END { done() }' conf/gemclone.conf)"

ids=$(sed -nE 's/^X\((GEM[0-9]{4}),.*/\1/p' $source/core/log_list.h)
verdict 'each log id is listed once' "$(echo "$ids" | sort | uniq -d)"
verdict 'each log id is used, and each one used is listed' "$(difference "$ids" \
    "$(grep -rhoE 'GEM[0-9]{4}' $source --include='*.c' --include='*.h' --exclude=log_list.h)")"

verdict 'each source is built' "$(difference "$(find $source -name '*.[ch]')" \
    "$(grep -oE 'mod_gemclone/[a-z0-9_/]+\.[ch]\b' Makefile.am | grep -v /www_files)")"
verdict 'each file of the pages is built in' "$(difference "$(find $source/www -type f \
    ! -name '*.[ch]' ! -name embed)" "$(grep -oE 'mod_gemclone/www/[a-z0-9-]+\.[a-z]+' Makefile.am | grep -v '\.[ch]$')")"
verdict 'no script of the pages makes markup or code of a text' "$(grep -nE \
    'innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|DOMParser|Fragment\(|\beval\b|\bFunction\(' $source/www/*.js)"
verdict 'each document is installed, and README.md leads to it' "$(difference "$(find doc -name '*.md')" \
    "$(grep -oE 'doc/[a-z_/]+\.md' Makefile.am)"
    difference "$(find doc -name '*.md')" "$(grep -oE '\]\(doc/[a-z_/]+\.md' README.md | cut -c 3-)")"
verdict 'each unit test is run' "$(difference "$(find t/unit -name 'test_*.c' | sed 's/\.c$//')" \
    "$(grep -oE 't/unit/test_[a-z0-9_]+' Makefile.am)")"
verdict 'each fuzz target is run, and has a corpus' "$(difference "$(find t/fuzz -name 'fuzz_*.c' | sed 's/\.c$//')" \
    "$(grep -oE 't/fuzz/fuzz_[a-z0-9_]+' Makefile.am)"
    difference "$(find t/fuzz -name 'fuzz_*.c' | sed 's/.*fuzz_//; s/\.c$//')" "$(ls t/fuzz/corpus)")"
verdict 'each change of the schema can be deployed, reverted and verified' "$(
    for change in $(sed -nE 's/^([a-z_]+) .*# .*/\1/p' sql/sqitch.plan); do
        for step in deploy revert verify; do
            [ -f "sql/$step/$change.sql" ] || echo "sql/$step/$change.sql is missing"
        done
    done)"
verdict 'each change of the schema waits for no lock for long' "$(grep -LE "^SET (LOCAL )?lock_timeout = '1s';$" sql/deploy/*.sql)"
verdict 'no test that a sanitizer leaves out has the module in it' "$(grep -rl --include='*.t' '^# Runs without the module: ' t |
    xargs grep -lE '^use Gemclone::(Stack|Shop|Apache)')"
verdict 'each file of code begins with its licence' "$(find $source t dev .ci -type f \
    \( -name '*.[ch]' -o -name '*.js' -o -name '*.css' -o -name '*.p[lm]' -o -name '*.t' -o -path dev -o -path .ci/run \) \
    ! -path '*/node_modules/*' 2> /dev/null | while read -r file; do
        head -n 3 "$file" | grep -q SPDX-License-Identifier || echo "$file"
    done)"

echo "1..$number"
