package shell_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a line asks for, two worlds of one seed answer alike, and nothing of
// the machine below shows.
func TestMachineStaysHidden(t *testing.T) {
	for _, line := range []string{
		`echo $RANDOM $((RANDOM)) $((RANDOM % 7 + 1)) $(( -RANDOM ))`, `(echo $RANDOM); echo $RANDOM | cat; x=$(echo $RANDOM); echo $x`,
		`x=RANDOM; echo $((x)) $(($x + 1)); y=x; ((z = y * 2)); echo $z; let w=y; echo $w; a=(PPID SRANDOM); echo $((a[0])) $((${a[1]} % 9)) ${a[y%2]}`,
		`for ((i=RANDOM; i>0; i=0)); do echo $i; done`, `a=(1 2 3); echo ${a[RANDOM%3]} ${a[@]:RANDOM%2:1}`, `let x=RANDOM; echo $x`, `echo "$SRANDOM $$ $PPID"`,
		`eval 'echo $RANDOM | cat'`, `cat <<E` + "\n$RANDOM\nE\n", `[[ $RANDOM -lt 40000 ]] && echo $RANDOM`, `case $RANDOM in *) echo $RANDOM;; esac`,
		`echo ~daemon ~nobody/x; x=~games; echo $x; (echo ~www-data)`, `pwd -P; type ls go; command -v gofmt cat; type -t tar`, `env; printenv; set | cat`,
		`declare -p HOME`, `export -p`, `time sleep 2`, `time -p sleep 1.5`, `ls /proc /dev; test -e /proc/self && echo real`, `cat < /proc/version; echo after`,
		`. /etc/passwd`, `source bashrc`, `cd /usr/bin`, `ls ~`, `echo /*`, `cat /tmp/sh-interp-x < /tmp/sh-interp-x`, `echo x > /tmp/sh-interp-y; ls /tmp`, `umask; ulimit -a; times; jobs; kill 1; hash; trap 'echo x' EXIT`,
		`[ -N /etc/hostname ]; [[ -N /etc/hostname ]]`, `test -t 0 && echo tty; test -O /etc/hostname || echo no`,
		`declare -A m=([a]=1 [b]=2); echo ${!m[@]}`, `m=(["x"]=1); declare -p m`, `x=RANDOM; echo ${!x}`, `declare -n r=RANDOM; echo $r`,
	} {
		a, _ := newRig().run(line)
		b, _ := newRig().run(line)
		require.Equal(t, a, b, line)
		for _, real := range []string{"Linux", "/usr/local/go", "GOROOT", "real\n", "daemon:", "go is"} {
			require.NotContains(t, a, real, line)
		}
	}
}

func TestSecondsAndTimeAreVirtual(t *testing.T) {
	r := newRig()
	for _, tt := range []struct{ line, out, status string }{
		{"time sleep 62", "\nreal\t1m2.000s\nuser\t0m0.000s\nsys\t0m0.000s\n", "0"},
		{"time -p false", "real 0.00\nuser 0.00\nsys 0.00\n", "1"},
		{"echo $SECONDS", "62\n", "0"},
		{"[ $EPOCHSECONDS -eq $(date +%s) ] && echo same", "same\n", "0"},
	} {
		out, status := r.run(tt.line)
		require.Equal(t, tt.out, out, tt.line)
		require.Equal(t, tt.status, status, tt.line)
	}
}

// What bash says, and that the line goes on as it does in bash.
func TestWordsOfBash(t *testing.T) {
	for _, tt := range []struct{ line, out, status string }{
		{"cat < nosuch; echo after", "bash: nosuch: No such file or directory\nafter\n", "0"},
		{"echo x > /nosuch/y; echo after", "bash: /nosuch/y: No such file or directory\nafter\n", "0"},
		{"echo x > /etc", "bash: /etc: Is a directory\n", "1"},
		{"cat < /dev/null; echo x > /dev/null; echo e > /dev/stderr", "e\n", "0"},
		{"cd /nosuch", "bash: cd: /nosuch: No such file or directory\n", "1"},
		{"cd /etc/hostname", "bash: cd: /etc/hostname: Not a directory\n", "1"},
		{"a=3; b=a; c=(5 6 7); echo $((b*2)) $((a++ + ++a)) $((a)) $((nosuch)) $((0x10 + 010)) $((c[1] + ${c[2]})) $((a > 4 ? b : 9)); for ((i=0; i<a; i++)); do echo -n $i; done; ((a += b)); let a-=1; echo \" $a\"", "6 8 5 0 24 13 5\n01234 9\n", "0"},
		{"alias k=kubectl", "bash: alias: not in this shell\n", "2"},
		{"type cd kubectl nosuch", "cd is a shell builtin\nkubectl is /usr/bin/kubectl\nbash: type: nosuch: not found\n", "1"},
		{"export A=1; B=2; env | grep -c -E '^(A|B)='; printenv A HOME; A=3 printenv A; env FOO=1 ls", "1\n1\n/root\n3\nenv: 'FOO=1' is not in this shell\n", "1"},
		{"wc /etc/hostname; wc -l < /etc/hostname; echo a b | wc; wc -c /etc/hostname /etc/hostname", "1 1 7 /etc/hostname\n1\n      1       2       4\n 7 /etc/hostname\n 7 /etc/hostname\n14 total\n", "0"},
		{"sleep 1.5m; date +%T; sleep x", "00:01:30\nsleep: invalid time interval 'x'\nTry 'sleep --help' for more information.\n", "1"},
		{"mkdir -p a/b; echo hi > a/b/c; ln -s b a/l; chmod 600 a/b/c; cp a/l/c d; ls -l a d; readlink a/l; readlink -f a/l/c", "-rw------- 1 root root 3 Jan  1 00:00 d\n\na:\ntotal 4\ndrwxr-xr-x 2 root root 4096 Jan  1 00:00 b\nlrwxrwxrwx 1 root root    1 Jan  1 00:00 l -> b\nb\n/root/a/b/c\n", "0"},
		{"hostname -f; whoami --help; chmod u+x /etc", "hostname: option '-f' is not in this shell\nwhoami: '--help' is not in this shell\nchmod: mode 'u+x' is not in this shell; give it in octal, such as 600\n", "1"},
		{"ls --color; ls -Q; cat -n x; head -c 3 x; tail -f x; grep -r x; sort -k1 x; tee -p; base64 --wrap=0; date -r x; date +%q; cp -r a b; rm -i x; mkdir -m 7 x; touch -t 1 x; ln a b", "", "1"},
		{"date -u -d '2026-03-01 12:00' +%F; date -d '+1 year 2 days ago' +%F; date -d @86400 +%s; date -d 'soon'; date -Is -d 2030-01-02T03:04:05Z", "2026-03-01\n2026-12-30\n86400\ndate: invalid date ‘soon’\n2030-01-02T03:04:05+00:00\n", "0"},
		{"TZ=Asia/Shanghai date; TZ=Europe/Berlin date -d 2026-07-01T00:00:00Z '+%H:%M %Z %:z'; TZ=Nowhere date +%Z", "Thu Jan  1 08:00:00 CST 2026\n02:00 CEST +02:00\nUTC\n", "0"},
		{"timedatectl set-timezone Mars; timedatectl set-timezone Asia/Shanghai; date; timedatectl | grep zone; timedatectl set-ntp true", "Failed to set time zone: Invalid or not installed time zone 'Mars'\nThu Jan  1 08:00:00 CST 2026\n                Time zone: Asia/Shanghai (CST, +0800)\nFailed to set ntp: NTP not supported\n", "1"},
		{"USER=admin; export USER; date -s +1min; timedatectl set-time 12:00", "date: cannot set date: Operation not permitted\nThu Jan  1 00:01:00 UTC 2026\nFailed to set time: Access denied\n", "1"},
		{"command -v kubectl nosuch", "/usr/bin/kubectl\n", "1"},
		{"/usr/bin/whoami; command whoami", "root\nroot\n", "0"},
		{"cat <(echo a)", "bash: <(…) and >(…) are not in this shell; use a pipe or a file\n", "2"},
		{"echo {1..99999999}", "bash: {1..99999999}: not in this shell\n", "2"},
		{"echo {1..3}", "1 2 3\n", "0"},
		{"for i in 1 2; do :; done; while false; do :; done; echo $?; for i in 1 2; do false; done; echo $?; for i in 1 2; do echo $?; false; done", "0\n1\n0\n1\n", "1"},
		{"set -x; echo on", "bash: set: -x: not in this shell\non\n", "0"},
		{`$'\x01join' 1; echo on`, "bash: \x01join: command not found\non\n", "0"},
		{`eval "echo a | cat"; $'\x01join' 1; $'\x01tock' 1; echo on`, "a\non\n", "0"},
		{"echo x > $'/dev/\\x01pipe'", "bash: /dev/\x01pipe: No such file or directory\n", "1"},
		{"read 'x;ls'", "", "2"},
	} {
		out, status := newRig().run(tt.line)
		if tt.out != "" {
			require.Equal(t, tt.out, out, tt.line)
		}
		require.Equal(t, tt.status, status, tt.line)
	}
}

func TestPipelines(t *testing.T) {
	for _, tt := range []struct{ line, out, status string }{
		{"f() { if [ $1 -gt 0 ]; then echo $1 | cat; f $(($1-1)) | cat; fi; }; f 3", "3\n2\n1\n", "0"},
		{"for i in 1 2 3; do (sleep $((4-i)); echo $i) & done; wait; echo all", "3\n2\n1\nall\n", "0"},
		{"for i in 1 2 3; do echo $i | cat & done; wait", "3\n2\n1\n", "0"},
		{"set -e; echo a | false; echo never", "", "1"},
		{"set -o pipefail; false | true; echo $?; false | true | true; echo $?", "1\n1\n", "0"},
		{"false | true | true; echo $?", "0\n", "0"},
		{"! echo a | grep -q b && echo none", "none\n", "0"},
		{"echo a |& cat; nosuch |& cat", "a\nbash: nosuch: command not found\n", "0"},
		{"{ echo one; echo two; echo three; } | { head -1; cat; }", "one\ntwo\nthree\n", "0"},
		{"{ head -1; cat; } <<E\none\ntwo\nE\n", "one\ntwo\n", "0"},
		{"echo a | { read x; echo b | { read y; echo $x$y; }; }", "ab\n", "0"},
		{"echo a | cat - < /etc/hostname", "node-1\n", "0"},
		{"echo $(echo a | cat)$(echo b | cat)", "ab\n", "0"},
		{"x=1; echo a | x=2; echo $x", "1\n", "0"},
		{"printf 'a b\\n' | while read x y; do echo $y $x; done", "b a\n", "0"},
		{"if echo a | grep -q a; then echo yes; fi; while echo b | grep -q c; do :; done; [[ $(echo q | cat) == q ]] && echo q", "yes\nq\n", "0"},
		{"a=($(echo 1 2 | cat)); echo ${a[1]}", "2\n", "0"},
		{"exit 3 | cat; echo $?; (exit 4); echo $?", "0\n4\n", "0"},
		{"sleep 1 | sleep 2 & sleep 3; date +%S", "03\n", "0"},
		{"while :; do echo y; done | head -1; echo ok", "y\nok\n", "0"},
	} {
		out, status := newRig().run(tt.line)
		require.Equal(t, tt.out, out, tt.line)
		require.Equal(t, tt.status, status, tt.line)
	}
}

func TestBudgetHolds(t *testing.T) {
	for _, line := range []string{
		"f() { f; }; f", "f() { f | f; }; f", ":(){ :|:& };:", "while :; do a | b; done", "while :; do : & done", "while :; do echo y; done | cat > /dev/null",
		"for ((;;)); do :; done", "until false; do echo x | cat; done > /dev/null", "eval 'while :; do :; done'",
		"a=x; while :; do a=$a$a; done", "a=xx; f() { a=$a$a; f; }; f", "a=xxxxxxxx; for i in {1..16}; do a=$a$a; done; while :; do echo $a; done > /dev/null", "x=$(while :; do echo yyyyyyyyyyyy; done)",
	} {
		r := newRig()
		out, status := r.run(line)
		require.Contains(t, out, "interrupted: the line used up its budget of work", line)
		require.Equal(t, "130", status, line)
		out, _ = r.run("echo next")
		require.Equal(t, "next\n", out, line)
	}
}

// One line of output is one Observation.
func TestLinesArePrintedWhole(t *testing.T) {
	r := newRig()
	r.run("echo a b c; printf no; sleep 1; printf 'w\\n'; echo e > /dev/stderr")
	var got []string
	for _, o := range r.obs {
		if o.Kind == "printed" {
			got = append(got, o.Args["stream"]+" "+o.Payload)
		}
	}
	require.Equal(t, []string{"stdout a b c\n", "stdout no", "stdout w\n", "stderr e\n"}, got)
	require.NotContains(t, strings.Join(got, ""), "\x01")
}
