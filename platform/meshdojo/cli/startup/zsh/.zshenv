# What zsh reads first in a lab shell: the owner's .zshenv, which may say where the other files are; then our .zshrc.
_meshdojo_startup=$ZDOTDIR
if [[ -n $MESHDOJO_ZDOTDIR ]]; then ZDOTDIR=$MESHDOJO_ZDOTDIR; else unset ZDOTDIR; fi
[[ ! -r ${ZDOTDIR:-$HOME}/.zshenv ]] || . "${ZDOTDIR:-$HOME}/.zshenv"
eval "$MESHDOJO_RESTORE"
if [[ -o interactive ]]; then
  MESHDOJO_ZDOTDIR=$ZDOTDIR ZDOTDIR=$_meshdojo_startup
else
  unset MESHDOJO_ZDOTDIR MESHDOJO_RESTORE
fi
unset _meshdojo_startup
