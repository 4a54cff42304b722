package era

import (
	"strconv"
	"strings"
)

// Ending is how a component ends that can't go on: what it says, and its exit status.
type Ending struct {
	Lines  []LastLine
	Status int
}

// LastLine is a line that an ending component says of its reason.
type LastLine struct {
	// Level and Source are klog's; a line without a level is printed as it is.
	Level  byte
	Source string
	// Message is that of a structured line, which has the reason as Key.
	Message, Key string
	// Format is the reason's, with %s for it.
	Format string
}

// Text is the line's own, for a reason.
func (l LastLine) Text(why string) string { return strings.ReplaceAll(l.Format, "%s", why) }

func bare(status int, formats ...string) Ending {
	end := Ending{Status: status}
	for _, f := range formats {
		end.Lines = append(end.Lines, LastLine{Format: f})
	}
	return end
}

// fatal is glog.Fatal, which ends with 255, exit klog.Exit, which ends with 1; failed is
// a structured line of an error.
func fatal(source string) Ending {
	return Ending{[]LastLine{{Level: 'F', Source: source, Format: "%s"}}, 255}
}

func exit(source string) Ending {
	return Ending{[]LastLine{{Level: 'F', Source: source, Format: "%s"}}, 1}
}

func failed(source, message, format string) Ending {
	return Ending{[]LastLine{{Level: 'E', Source: source, Message: message, Key: "err", Format: format}}, 1}
}

func since(release string, end Ending, source string) Fact[Ending] {
	return Fact[Ending]{Since: release, Value: end, Source: source}
}

const (
	ofPflag = "pflag.ExitOnError; golden-old 1.7.4/f-flags/01, 12, 21"
	ofCobra = "component-base/cli/run.go"
)

// A component that does not take its command line says so: pflag's usage follows, of
// which only the first line is here.
var flagEndings = map[string]Row[Ending]{
	"kubelet": func() Row[Ending] {
		const src = "cmd/kubelet/app/server.go"
		facts := []Fact[Ending]{since("", bare(2, "%s", "Usage of kubelet:"), ofPflag)}
		for _, at := range []struct{ since, line string }{{"1.10", "145"}, {"1.11", "148"}, {"1.13", "147"}, {"1.14", "151"}, {"1.15", "156"}, {"1.16", "154"},
			{"1.17", "156"}, {"1.18", "157"}, {"1.19", "156"}} {
			facts = append(facts, since(at.since, fatal("server.go:"+at.line), src+"; golden-old 1.11.1/f-flags/01"))
		}
		const parse = "failed to parse kubelet flag: %s"
		return row("flags/refused/kubelet", append(facts,
			since("1.21", failed("server.go:156", "Failed to parse kubelet flag", "%s"), src),
			since("1.22", failed("server.go:158", "Failed to parse kubelet flag", "%s"), src),
			since("1.24", bare(1, "Error: "+parse), src+", cmd/kubelet/kubelet.go"),
			since("1.25", failed("run.go:74", "command failed", parse), ofCobra),
			since("1.31", failed("run.go:72", "command failed", parse), ofCobra+"; golden q-kubelet-states/24"))...)
	}(),
	"kube-apiserver": row("flags/refused/kube-apiserver",
		since("", bare(2, "%s", "Usage of kube-apiserver:"), ofPflag),
		since("1.10", bare(1, "Error: %s", "error: %s"), "cmd/kube-apiserver/apiserver.go; golden-old 1.11.1/f2-apiserver-flags/11"),
		since("1.16", bare(1, "Error: %s"), "cmd/kube-apiserver/apiserver.go")),
	"kube-controller-manager": row("flags/refused/kube-controller-manager",
		since("", bare(2, "%s", "Usage of kube-controller-manager:"), ofPflag),
		since("1.10", bare(1, "Error: %s", "%s"), "cmd/kube-controller-manager/controller-manager.go; golden-old 1.11.1/f-flags/07"),
		since("1.16", bare(1, "Error: %s"), "cmd/kube-controller-manager/controller-manager.go")),
	"kube-scheduler": row("flags/refused/kube-scheduler",
		since("", bare(2, "%s", "Usage of kube-scheduler:"), ofPflag),
		since("1.9", bare(1, "Error: %s"), "cmd/kube-scheduler/scheduler.go"),
		since("1.10", bare(1, "Error: %s", "%s"), "cmd/kube-scheduler/scheduler.go"),
		since("1.16", bare(1, "Error: %s"), "cmd/kube-scheduler/scheduler.go")),
	"kube-proxy": row("flags/refused/kube-proxy",
		since("", bare(1, "Error: %s"), "cmd/kube-proxy/proxy.go"),
		since("1.9", bare(1, "Error: %s", "error: %s"), "cmd/kube-proxy/proxy.go"),
		since("1.16", bare(1, "Error: %s"), "cmd/kube-proxy/proxy.go")),
}

// A component that can't run with what its command line and its files say.
var runEndings = map[string]Row[Ending]{
	"kube-apiserver": row("run/failed/kube-apiserver",
		since("", bare(1, "%s"), "cmd/kube-apiserver/apiserver.go; golden-old 1.7.4/f2-apiserver-flags"),
		since("1.11", bare(1, "Error: %s", "error: %s"), "cmd/kube-apiserver/apiserver.go; golden-old 1.11.1/f2-apiserver-flags/07"),
		since("1.16", bare(1, "Error: %s"), "cmd/kube-apiserver/apiserver.go"),
		since("1.23", failed("run.go:120", "command failed", "%s"), ofCobra), since("1.24", failed("run.go:74", "command failed", "%s"), ofCobra),
		since("1.31", failed("run.go:72", "command failed", "%s"), ofCobra)),
	"kube-controller-manager": row("run/failed/kube-controller-manager",
		since("", bare(1, "%s"), "cmd/kube-controller-manager/app/controllermanager.go"),
		since("1.25", failed("run.go:74", "command failed", "%s"), ofCobra),
		since("1.31", failed("run.go:72", "command failed", "%s"), ofCobra)),
	"kube-scheduler": row("run/failed/kube-scheduler",
		since("", Ending{[]LastLine{{Level: 'F', Source: "scheduler.go:41", Format: "scheduler app failed to run: %s"}}, 255}, "plugin/cmd/kube-scheduler/scheduler.go"),
		since("1.9", bare(1, "error: %s"), "cmd/kube-scheduler/app/server.go, cmdutil.CheckErr"),
		since("1.11", bare(1, "%s"), "cmd/kube-scheduler/app/server.go"),
		since("1.23", failed("run.go:120", "command failed", "%s"), ofCobra), since("1.24", failed("run.go:74", "command failed", "%s"), ofCobra),
		since("1.31", failed("run.go:72", "command failed", "%s"), ofCobra)),
	"kube-proxy": row("run/failed/kube-proxy",
		since("", bare(1, "error: %s"), "cmd/kube-proxy/app/server.go, cmdutil.CheckErr"),
		since("1.11", fatal("server.go:361"), "cmd/kube-proxy/app/server.go"), since("1.12", fatal("server.go:360"), "cmd/kube-proxy/app/server.go"),
		since("1.13", fatal("server.go:377"), "cmd/kube-proxy/app/server.go"), since("1.14", fatal("server.go:468"), "cmd/kube-proxy/app/server.go"),
		since("1.15", fatal("server.go:449"), "cmd/kube-proxy/app/server.go"), since("1.16", exit("server.go:443"), "cmd/kube-proxy/app/server.go"),
		since("1.17", exit("server.go:485"), "cmd/kube-proxy/app/server.go"), since("1.18", exit("server.go:497"), "cmd/kube-proxy/app/server.go"),
		since("1.19", exit("server.go:495"), "cmd/kube-proxy/app/server.go"), since("1.21", exit("server.go:489"), "cmd/kube-proxy/app/server.go"),
		since("1.22", exit("server.go:494"), "cmd/kube-proxy/app/server.go"),
		since("1.23", failed("run.go:120", "command failed", "%s"), ofCobra), since("1.24", failed("run.go:74", "command failed", "%s"), ofCobra),
		since("1.31", failed("run.go:72", "command failed", "%s"), ofCobra)),
}

// kubeletCommands are how a kubelet ends that is given an argument that is no flag.
var kubeletCommands = func() Row[Ending] {
	const src = "cmd/kubelet/app/server.go"
	var facts []Fact[Ending]
	for _, at := range []struct{ since, line string }{{"1.11", "155"}, {"1.13", "154"}, {"1.14", "158"}, {"1.15", "163"}, {"1.16", "161"}, {"1.17", "163"}, {"1.18", "164"}, {"1.19", "163"}} {
		facts = append(facts, since(at.since, Ending{[]LastLine{{Level: 'F', Source: "server.go:" + at.line, Format: "unknown command: %s"}}, 255}, src))
	}
	told := func(line string) Ending {
		return Ending{[]LastLine{{Level: 'E', Source: "server.go:" + line, Message: "Unknown command", Key: "command", Format: "%s"}}, 1}
	}
	return row("flags/command/kubelet", append(facts, since("1.21", told("164"), src), since("1.22", told("166"), src),
		since("1.24", bare(1, "Error: unknown command %s"), src), since("1.25", failed("run.go:74", "command failed", "unknown command %s"), src),
		since("1.31", failed("run.go:72", "command failed", "unknown command %s"), src))...)
}()

// ProxyComplete is what kube-proxy says before it says why its configuration is wrong.
var ProxyComplete = row("run/failed/kube-proxy-complete", Fact[string]{Since: "1.11", Value: "failed complete: ", Source: "cmd/kube-proxy/app/server.go"})

// FlagsRefused is how a component of a release ends that does not take its command
// line. Programs that are not Kubernetes' end as those of cobra do.
func FlagsRefused(e Era, component string) Ending {
	if r, ok := flagEndings[component]; ok {
		return r.In(e)
	}
	return bare(1, "Error: %s")
}

// RunFailed is how a component of a release ends that can't run; of the kubelet it is
// KubeletFailed.
func RunFailed(e Era, component string) Ending {
	if r, ok := runEndings[component]; ok {
		return r.In(e)
	}
	return failed("run.go:72", "command failed", "%s")
}

// Parts of a kubelet's start that can fail, in their order.
const (
	KubeletGates = iota
	KubeletFlags
	KubeletFile
	KubeletValid
	KubeletDeps
	KubeletRun
)

// kubeletEnd is how a kubelet of a release ends that can't start. Lines are those in
// server.go where each part says so; a release without lines has one way for all.
type kubeletEnd struct {
	Lines    [KubeletRun + 1]int
	Level    byte
	Messages [KubeletRun + 1]string
	Ending   Ending
	// Whole: the reason is said with the part that failed, as 1.36 words it.
	Whole bool
}

var kubeletEnds = func() Row[kubeletEnd] {
	const src = "cmd/kubelet/app/server.go"
	at := func(release string, v kubeletEnd, source string) Fact[kubeletEnd] {
		return Fact[kubeletEnd]{Since: release, Value: v, Source: source}
	}
	fatals := func(lines ...int) kubeletEnd { return kubeletEnd{Level: 'F', Lines: [KubeletRun + 1]int(lines)} }
	messages := [KubeletRun + 1]string{"Failed to set feature gates from initial flags-based config", "Failed to validate kubelet flags", "Failed to load kubelet config file",
		"Failed to validate kubelet configuration", "Failed to construct kubelet dependencies", "Failed to run kubelet"}
	told := func(lines ...int) kubeletEnd {
		return kubeletEnd{Level: 'E', Lines: [KubeletRun + 1]int(lines), Messages: messages}
	}
	whole := func(end Ending) kubeletEnd { return kubeletEnd{Ending: end, Whole: true} }
	return row("run/failed/kubelet",
		at("", kubeletEnd{Ending: bare(1, "error: %s")}, "cmd/kubelet/kubelet.go; golden-old 1.8.0/f-flags/07"),
		at("1.10", fatals(164, 169, 176, 176, 218, 233), src), at("1.11", fatals(174, 179, 190, 207, 245, 262), src+"; golden-old 1.11.1/f-flags/03"),
		at("1.13", fatals(173, 178, 189, 206, 244, 261), src), at("1.14", fatals(177, 182, 193, 210, 248, 265), src), at("1.15", fatals(182, 187, 198, 215, 253, 273), src),
		at("1.16", fatals(180, 185, 196, 213, 251, 271), src), at("1.17", fatals(182, 187, 198, 215, 253, 273), src), at("1.18", fatals(183, 188, 199, 216, 254, 274), src),
		at("1.19", fatals(182, 187, 198, 215, 253, 265), src), at("1.20", fatals(182, 187, 198, 215, 257, 269), src),
		at("1.21", told(186, 192, 204, 224, 269, 292), src), at("1.22", told(188, 194, 206, 226, 271, 294), src), at("1.23", told(187, 193, 205, 225, 279, 302), src),
		at("1.24", whole(bare(1, "Error: %s")), "cmd/kubelet/kubelet.go"), at("1.25", whole(failed("run.go:74", "command failed", "%s")), ofCobra),
		at("1.31", whole(failed("run.go:72", "command failed", "%s")), ofCobra))
}()

// gatesWithin: a kubelet sets its feature gates as part of its run.
var gatesWithin = row("kubelet/gates-within-run", Fact[bool]{Until: "1.8", Value: true, Source: "cmd/kubelet/app/server.go run; golden-old 1.7.4/f-flags/07"})

// KubeletFailed is how a kubelet ends when a part of its start fails. Whole: the
// reason is to have the words for the part that 1.36 has, and else of the run only.
func KubeletFailed(e Era, part int) (end Ending, whole bool) {
	k := kubeletEnds.In(e)
	if k.Level == 0 {
		end = k.Ending
		if part == KubeletGates && gatesWithin.In(e) {
			end = bare(end.Status, "error: failed to run Kubelet: %s")
		}
		return end, k.Whole
	}
	source := "server.go:" + strconv.Itoa(k.Lines[part])
	if k.Level == 'F' {
		return fatal(source), false
	}
	return failed(source, k.Messages[part], "%s"), false
}
