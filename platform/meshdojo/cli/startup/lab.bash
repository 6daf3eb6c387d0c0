# What bash reads in a lab shell: the owner's own habits first, then what the lab needs, which they may have set anew.
[ ! -r ~/.bashrc ] || . ~/.bashrc
eval "$MESHDOJO_RESTORE"
unset MESHDOJO_RESTORE
