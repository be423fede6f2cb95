# bash completion for the programs of nginx-await, installed under the name of each. What there is, they say themselves: --help.

_nginx_await() {
    local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} said
    local command=()
    [[ ${program##*/} == await-ctl && $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == @(setup|check) ]] && command=("${COMP_WORDS[1]}")
    said=$("$program" "${command[@]}" --help 2>/dev/null) || return 0
    COMPREPLY=()
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(grep -oE -- '(^|[[ ,])--?[a-z][a-z-]*' <<< "$said" | tr -d '[ ,' | sort -u)" -- "$cur")
    elif [[ ${program##*/} == await-ctl && $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^(usage:| ) *await-ctl ([a-z][a-z|-]*).*/\2/p' <<< "$said" | tr '|' '\n' | sort -u)" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _nginx_await "${BASH_SOURCE[0]##*/}"
