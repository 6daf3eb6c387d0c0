# What a lab shell of the page reads at its start: the owner's own habits first, then what the lab needs.
_meshdojo_kubeconfig=$KUBECONFIG
[ -r /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -r ~/.bashrc ] && . ~/.bashrc
PATH=$MESHDOJO_PATH
[ -z "$_meshdojo_kubeconfig" ] || export KUBECONFIG=$_meshdojo_kubeconfig
unset MESHDOJO_PATH _meshdojo_kubeconfig

HISTFILE=$MESHDOJO_HISTORY HISTSIZE=5000 HISTFILESIZE=20000
shopt -s histappend checkwinsize
# Each command is kept at once (a terminal may be closed at any moment), and the gateway's address follows the mesh.
_meshdojo_prompt() {
  local code=$?
  history -a
  [ -r "$MESHDOJO_VARIABLES" ] && . "$MESHDOJO_VARIABLES"
  _meshdojo_code=
  [ $code = 0 ] || _meshdojo_code="$code "
}
PROMPT_COMMAND=_meshdojo_prompt
PS1='\[\e[31m\]$_meshdojo_code\[\e[0m\]\[\e[1;34m\]\W\[\e[0m\] \$ '
bind 'set enable-bracketed-paste on' 2> /dev/null
bind 'set colored-stats on' 2> /dev/null
bind 'set show-all-if-ambiguous on' 2> /dev/null
alias ls='ls --color=auto' grep='grep --color=auto' k=kubectl

if ! declare -F _get_comp_words_by_ref > /dev/null && [ -r /usr/share/bash-completion/bash_completion ]; then
  . /usr/share/bash-completion/bash_completion
fi
# kubectl's completion needs two functions of the package bash-completion. Where that is missing, these will do.
if ! declare -F _get_comp_words_by_ref > /dev/null; then
  _get_comp_words_by_ref() {
    words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=
    [ "$COMP_CWORD" = 0 ] || prev=${COMP_WORDS[COMP_CWORD - 1]}
  }
  __ltrim_colon_completions() { :; }
fi
# Loaded at the first Tab, so that the shell is there at once. 124: bash, look again.
_meshdojo_completion() {
  local program=$1 code
  [ "$program" = k ] && program=kubectl
  complete -r "$1"
  code=$("$program" completion bash 2> /dev/null) && eval "$code" || complete -o default "$1"
  [ "$1" != k ] || complete -o default -F __start_kubectl k
  return 124
}
complete -F _meshdojo_completion kubectl istioctl k
