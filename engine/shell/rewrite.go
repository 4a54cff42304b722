package shell

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The words that rewritten lines call. A person who types them gets "command
// not found": a word counts only where the rewriter put it (call in builtins.go).
const (
	word     = "\x01"
	callFork = "\x01fork" // N: make a player and its pipe
	callPlay = "\x01play" // N: this goroutine is the forked player; wait for the turn
	callEnd  = "\x01end"  // N: this player is done
	callBorn = "\x01born" // N: wait until the forked player is there
	callFrom = "\x01from" // N: born, and standard input is its pipe from here
	callJoin = "\x01join" // N: the reader of pipeline N is done; wait for the writer
	callLoop = "\x01loop" // 0: a loop begins anew
	callTick = "\x01tick" // 0 or 1: remember when; tock prints the time since
	callTock = "\x01tock" // 0 or 1: 1 for the form of time -p
	callVar  = "\x01var"  // NAME: print a variable that is not the real machine's
	callNum  = "\x01num"  // VALUE: print the number that a value of an expression leads to
	pipePath = "/dev/\x01pipe"
)

// rewriter numbers the pipelines that it rewrites.
type rewriter struct {
	n    int
	mine map[*syntax.Stmt]bool
	err  error
}

// file rewrites every pipeline and every & of a program, so that each
// goroutine that the interpreter will start is a player of ours:
//
//	X | Y   { fork N; { play N; (X); end N; } > pipe & from N; (Y); join N; }
//	X &     fork N; { play N; (X); end N; } & born N
//
// and every variable through which the interpreter would read the real
// machine. The error says what can't be rewritten, as bash would complain.
func (r *rewriter) file(f *syntax.File) error {
	r.mine, r.err = map[*syntax.Stmt]bool{}, nil
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.File:
			r.list(&n.Stmts)
		case *syntax.Block:
			r.list(&n.Stmts)
		case *syntax.Subshell:
			r.list(&n.Stmts)
		case *syntax.CmdSubst:
			r.list(&n.Stmts)
		case *syntax.IfClause:
			r.list(&n.Cond)
			r.list(&n.Then)
		case *syntax.WhileClause:
			r.list(&n.Cond)
			r.list(&n.Do)
			n.Do = append([]*syntax.Stmt{call(callLoop, 0)}, n.Do...)
		case *syntax.ForClause:
			r.list(&n.Do)
			n.Do = append([]*syntax.Stmt{call(callLoop, 0)}, n.Do...)
		case *syntax.CaseItem:
			r.list(&n.Stmts)
		case *syntax.Stmt:
			r.stmt(n)
		default:
			r.leaks(n)
		}
		return r.err == nil
	})
	return r.err
}

func (r *rewriter) refuse(format string, a ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("bash: "+format+": not in this shell", a...)
	}
}

// list rewrites the statements with & in a list.
func (r *rewriter) list(stmts *[]*syntax.Stmt) {
	var out []*syntax.Stmt
	for _, s := range *stmts {
		if !s.Background || r.mine[s] {
			out = append(out, s)
			continue
		}
		r.n++
		s.Background = false
		out = append(out, call(callFork, r.n), r.forked(r.n, s), call(callBorn, r.n))
	}
	*stmts = out
}

// stmt rewrites a pipeline, and time.
func (r *rewriter) stmt(s *syntax.Stmt) {
	switch c := s.Cmd.(type) {
	case *syntax.BinaryCmd:
		if c.Op == syntax.AndStmt || c.Op == syntax.OrStmt {
			return
		}
		r.n++
		left := r.forked(r.n, c.X)
		left.Redirs = []*syntax.Redirect{{Op: syntax.RdrOut, Word: quoted(pipePath)}}
		if c.Op == syntax.PipeAll {
			left.Redirs = append(left.Redirs, &syntax.Redirect{Op: syntax.DplOut, N: &syntax.Lit{Value: "2"}, Word: quoted("1")})
		}
		s.Cmd = &syntax.Block{Stmts: []*syntax.Stmt{call(callFork, r.n), left, call(callFrom, r.n), sub(c.Y), call(callJoin, r.n)}}
	case *syntax.TimeClause:
		form := 0
		if c.PosixFormat {
			form = 1
		}
		stmts := []*syntax.Stmt{call(callTick, form)}
		if c.Stmt != nil {
			stmts = append(stmts, c.Stmt)
		}
		s.Cmd = &syntax.Block{Stmts: append(stmts, call(callTock, form))}
	case *syntax.CoprocClause:
		r.refuse("coproc")
	}
}

// forked is a statement that runs in a goroutine of its own.
func (r *rewriter) forked(n int, s *syntax.Stmt) *syntax.Stmt {
	f := &syntax.Stmt{Background: true, Cmd: &syntax.Block{Stmts: []*syntax.Stmt{call(callPlay, n), sub(s), call(callEnd, n)}}}
	r.mine[f] = true
	return f
}

func sub(s *syntax.Stmt) *syntax.Stmt {
	return &syntax.Stmt{Cmd: &syntax.Subshell{Stmts: []*syntax.Stmt{s}}}
}

func call(name string, n int) *syntax.Stmt {
	return &syntax.Stmt{Cmd: &syntax.CallExpr{Args: []*syntax.Word{quoted(name), quoted(strconv.Itoa(n))}}}
}

func quoted(s string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Value: s}}}
}

// special are the variables through which the interpreter would read the real
// machine's chance, clock or processes: they become $(var NAME).
var special = []string{"RANDOM", "SRANDOM", "EPOCHSECONDS", "EPOCHREALTIME", "SECONDS", "PPID", "$"}

func ours(name string) *syntax.CmdSubst {
	return &syntax.CmdSubst{Stmts: []*syntax.Stmt{{Cmd: &syntax.CallExpr{Args: []*syntax.Word{quoted(callVar), quoted(name)}}}}}
}

// longest is how many words {1..N} may make.
const longest = 10_000

var (
	span1 = regexp.MustCompile(`\{(-?\d+)\.\.(-?\d+)(?:\.\.-?\d+)?\}`)
	tilde = regexp.MustCompile(`^~([A-Za-z0-9_][^/]*)`)
)

// leaks rewrites, or refuses, what would show the real machine, the order of a
// map, or more words than there is memory for.
func (r *rewriter) leaks(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.ProcSubst:
		r.err = errors.New("bash: <(…) and >(…) are not in this shell; use a pipe or a file")
	case *syntax.Word:
		r.parts(n.Parts)
		if lit, ok := first(n); ok {
			// Another's home would be looked up on the real machine.
			if m := tilde.FindStringSubmatch(lit.Value); m != nil {
				home := `\~` + m[1]
				if m[1] == "root" {
					home = "/root"
				}
				lit.Value = home + lit.Value[len(m[0]):]
			}
		}
	case *syntax.DblQuoted:
		r.parts(n.Parts)
	case *syntax.Lit:
		for _, m := range span1.FindAllStringSubmatch(n.Value, -1) {
			a, errA := strconv.Atoi(m[1])
			b, errB := strconv.Atoi(m[2])
			if errA != nil || errB != nil || max(a-b, b-a) > longest {
				r.refuse("%s", m[0])
			}
		}
	case *syntax.ParamExp:
		if n.Excl && n.Names == 0 && n.Index == nil {
			r.refuse("${!%s}", n.Param.Value)
		}
		if n.Slice != nil {
			arithmetic(n.Slice.Offset)
			arithmetic(n.Slice.Length)
		}
		arithmetic(n.Index)
	case *syntax.Assign:
		arithmetic(n.Index)
	case *syntax.CStyleLoop:
		arithmetic(n.Init)
		arithmetic(n.Cond)
		arithmetic(n.Post)
	case *syntax.UnaryArithm:
		if (n.Op == syntax.Inc || n.Op == syntax.Dec) && isSpecial(n.X) {
			r.refuse("changing a variable of the machine")
		} else if n.Op != syntax.Inc && n.Op != syntax.Dec {
			arithmetic(n.X)
		}
	case *syntax.BinaryArithm:
		changes := strings.HasSuffix(n.Op.String(), "=") && !slices.Contains([]string{"==", "!=", "<=", ">="}, n.Op.String())
		if changes && isSpecial(n.X) {
			r.refuse("changing a variable of the machine")
		} else if !changes {
			arithmetic(n.X)
		}
		arithmetic(n.Y)
	case *syntax.ArithmExp:
		arithmetic(n.X)
	case *syntax.ArithmCmd:
		arithmetic(n.X)
	case *syntax.ParenArithm:
		arithmetic(n.X)
	case *syntax.LetClause:
		for _, x := range n.Exprs {
			arithmetic(x)
		}
	case *syntax.UnaryTest:
		if n.Op == syntax.TsModif || n.Op == syntax.TsUsrOwn || n.Op == syntax.TsGrpOwn {
			r.refuse("[[ %s ]]", n.Op)
		}
	case *syntax.DeclClause:
		for _, a := range n.Args {
			lit, _ := first(a.Value)
			if a.Name == nil && (lit == nil || strings.HasPrefix(lit.Value, "-")) && (lit == nil || strings.ContainsAny(lit.Value, "Afnp")) {
				r.refuse("%s with such options or computed names", n.Variant.Value)
			}
		}
	case *syntax.ArrayElem:
		if w, ok := n.Index.(*syntax.Word); ok && len(w.Parts) == 1 {
			if _, ok := w.Parts[0].(*syntax.Lit); !ok {
				r.refuse("an associative array")
			}
		}
	}
}

func (r *rewriter) parts(parts []syntax.WordPart) {
	for i, p := range parts {
		pe, ok := p.(*syntax.ParamExp)
		if !ok || pe.Param == nil || !slices.Contains(special, pe.Param.Value) {
			continue
		}
		if pe.Length || pe.Excl || pe.Index != nil || pe.Slice != nil || pe.Repl != nil || pe.Exp != nil {
			r.refuse("${%s} with an operator", pe.Param.Value)
		}
		parts[i] = ours(pe.Param.Value)
	}
}

// first is the literal that a word begins with.
func first(w *syntax.Word) (*syntax.Lit, bool) {
	if w == nil || len(w.Parts) == 0 {
		return nil, false
	}
	lit, ok := w.Parts[0].(*syntax.Lit)
	return lit, ok
}

func isSpecial(x syntax.ArithmExpr) bool {
	w, ok := x.(*syntax.Word)
	return ok && slices.Contains(special, w.Lit())
}

// arithmetic lets us read the variable or number that stands in an expression:
// the interpreter would follow a variable that holds a name, and so come to one
// of the real machine's.
func arithmetic(x syntax.ArithmExpr) {
	w, ok := x.(*syntax.Word)
	if !ok || len(w.Parts) == 0 {
		return
	}
	switch lit := w.Lit(); {
	case isSpecial(x):
		w.Parts = []syntax.WordPart{ours(lit)}
	case lit == "@" || lit == "*" || lit != "" && !syntax.ValidName(lit):
	default:
		value := &syntax.Word{Parts: []syntax.WordPart{&syntax.DblQuoted{Parts: w.Parts}}}
		w.Parts = []syntax.WordPart{&syntax.CmdSubst{Stmts: []*syntax.Stmt{{Cmd: &syntax.CallExpr{Args: []*syntax.Word{quoted(callNum), value}}}}}}
	}
}
