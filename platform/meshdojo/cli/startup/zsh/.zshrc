# The owner's .zshrc from the owner's folder; then what the lab needs, which it may have set anew.
if [[ -n $MESHDOJO_ZDOTDIR ]]; then ZDOTDIR=$MESHDOJO_ZDOTDIR; else unset ZDOTDIR; fi
[[ ! -r ${ZDOTDIR:-$HOME}/.zshrc ]] || . "${ZDOTDIR:-$HOME}/.zshrc"
eval "$MESHDOJO_RESTORE"
unset MESHDOJO_ZDOTDIR MESHDOJO_RESTORE
