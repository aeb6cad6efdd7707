# SPDX-License-Identifier: BSD-3-Clause
# bash completion of okl4fsctl. Names of guests and channels are those that the daemon has now.

_okl4fsctl_names() { # COMMAND: the daemon's names, except those that cannot be a word
	local -a to=()
	[[ -z $socket ]] || to=(-s "$socket")
	"${command:-okl4fsctl}" "${to[@]}" "$1" --names 2>/dev/null | grep -vF "\\"
}

_okl4fsctl_offer() { # [-o OPTION] LINES: those that begin with the word, quoted for the shell
	local quote=yes line
	[[ $1 != -o ]] || { compopt -o "$2" 2>/dev/null; quote=; shift 2; }
	while IFS= read -r line; do
		[[ -n $line && $line == "$bare"* ]] || continue
		[[ -z $quote || $line != *[!A-Za-z0-9_./:@%+,=-]* ]] || printf -v line %q "$line"
		COMPREPLY+=("$line")
	done <<<"$1"
}

_okl4fsctl_words() { _okl4fsctl_offer "$(printf '%s\n' "$@")"; }

_okl4fsctl() {
	local command=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]}
	local before=${COMP_WORDS[COMP_CWORD - 1]} bare socket='' name='' n=0 i
	local -a commands=(status guests channels channel top events metrics setup doctor qemu-args attach
		guest-add guest-remove channel-add channel-remove channel-reset reload config
		log-level version help)
	local -a common=(-s --socket --json -h --help)
	# What has been typed may be quoted already
	bare=${word//\\/}
	bare=${bare#[\"\']}
	COMPREPLY=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket)
			i=$((i + 1))
			[[ ${COMP_WORDS[i]} != '=' ]] || i=$((i + 1))
			socket=${COMP_WORDS[i]}
			;;
		-[dnkgS] | --delay | --count | --sort | --guest | --way | --memory | --endpoint | --ring-bytes | --sessions | --mode | --group | --since)
			i=$((i + 1))
			[[ ${COMP_WORDS[i]} != '=' ]] || i=$((i + 1))
			;;
		-* | =) ;;
		*)
			if [[ -z $name ]]; then
				name=${COMP_WORDS[i]}
			else
				n=$((n + 1))
			fi
			;;
		esac
	done

	# The value of an option, which may stand behind "="
	if [[ $word == '=' ]]; then
		word='' bare=''
	elif [[ $before == '=' ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $before in
	-s | --socket)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$bare")
		return
		;;
	-d | --delay | -n | --count | --memory | --ring-bytes | --sessions | -e | --escape) return ;;
	-k | --sort)
		_okl4fsctl_words list name rate to-host to-guest fill stalls
		return
		;;
	-g | --guest)
		_okl4fsctl_offer "$(_okl4fsctl_names guests)"
		return
		;;
	--endpoint)
		compopt -o nospace 2>/dev/null
		_okl4fsctl_words unix-listen: mux-listen: unix-connect: tcp-listen: tcp-connect: \
			channel: intervm: echo discard
		return
		;;
	--mode)
		[[ $name != guest-add ]] || _okl4fsctl_words listen connect
		return
		;;
	--group)
		mapfile -t COMPREPLY < <(compgen -g -- "$bare")
		return
		;;
	-S | --since)
		_okl4fsctl_words 10m 1h 1d start
		return
		;;
	--way)
		if [[ $name == guest-add ]]; then
			_okl4fsctl_words vhost-user serial
		else
			_okl4fsctl_words fs generic
		fi
		return
		;;
	esac

	if [[ $word == -* ]]; then
		case $name in
		'') _okl4fsctl_words "${common[@]}" -V --version ;;
		guests | channels) _okl4fsctl_words "${common[@]}" --names --wide ;;
		top) _okl4fsctl_words "${common[@]}" -d --delay -n --count -k --sort -r --reverse ;;
		events) _okl4fsctl_words "${common[@]}" -g --guest -n --count -S --since \
			--no-follow -l --list ;;
		attach) _okl4fsctl_words "${common[@]}" --send --receive -p --progress -e --escape \
			--lines ;;
		qemu-args | setup) _okl4fsctl_words "${common[@]}" --way --memory --libvirt \
			--libvirt=filesystem --cloud-hypervisor ;;
		guest-add) _okl4fsctl_words "${common[@]}" --mode --group --way --save ;;
		guest-remove | channel-remove) _okl4fsctl_words "${common[@]}" --save ;;
		channel-add) _okl4fsctl_words "${common[@]}" --endpoint --ring-bytes --sessions --exclusive \
			--packets --mode --group --save ;;
		help) ;;
		*) _okl4fsctl_words "${common[@]}" ;;
		esac
		return
	fi

	case $name,$n in
	,0 | help,0) _okl4fsctl_words "${commands[@]}" ;;
	channels,0 | top,0 | doctor,0 | setup,0 | qemu-args,0 | guest-remove,0 | channel-add,0)
		_okl4fsctl_offer "$(_okl4fsctl_names guests)"
		;;
	channel,0 | attach,0 | channel-remove,0 | channel-reset,0)
		_okl4fsctl_offer "$(_okl4fsctl_names channels)"
		;;
	events,*)
		_okl4fsctl_words guest guest.added guest.removed guest.connected guest.ready \
			guest.reset guest.broken guest.gone channel channel.added channel.removed \
			channel.attached channel.opened channel.suspended channel.detached \
			channel.failed channel.reset channel.lost endpoint endpoint.connected endpoint.disconnected \
			endpoint.taken config config.reloaded config.refused log log.changed
		;;
	config,0) _okl4fsctl_words show save ;;
	log-level,0) _okl4fsctl_words err warning notice info debug ;;
	esac
}

complete -F _okl4fsctl okl4fsctl
