package shell

import (
	"slices"
	"strconv"

	"mvdan.cc/sh/v3/syntax"
)

// The words that rewritten lines call. A person can't type them: they hold a
// byte that a line can't have.
const (
	callFork = "\x01fork" // N: make player and pipe N
	callPlay = "\x01play" // N: this goroutine is player N; wait for the turn
	callEnd  = "\x01end"  // N: player N is done
	callBorn = "\x01born" // N: go on when player N is there
	callFrom = "\x01from" // N: standard input is pipe N from here
	callJoin = "\x01join" // N: the reader of pipe N is done; wait for player N
	pipePath = "/dev/\x01pipe/"
)

// rewriter numbers what it makes.
type rewriter struct{ n int }

// file rewrites every pipeline and every & of a program, so that each
// goroutine that the interpreter will start is a player of ours:
//
//	X | Y   { fork N; { play N; (X); end N; } > pipe N & from N; (Y); join N; }
//	X &     fork N; { play N; (X); end N; } & born N
func (r *rewriter) file(f *syntax.File) { f.Stmts = r.stmts(f.Stmts) }

func (r *rewriter) stmts(in []*syntax.Stmt) []*syntax.Stmt {
	var out []*syntax.Stmt
	for _, s := range in {
		r.inside(s)
		if s.Background {
			r.n++
			n := r.n
			s.Background = false
			out = append(out, call(callFork, n), &syntax.Stmt{Background: true, Cmd: &syntax.Block{Stmts: []*syntax.Stmt{
				call(callPlay, n), sub(s), call(callEnd, n)}}}, call(callBorn, n))
			continue
		}
		out = append(out, s)
	}
	return out
}

// inside rewrites what a statement holds.
func (r *rewriter) inside(s *syntax.Stmt) {
	if s == nil {
		return
	}
	for _, rd := range s.Redirs {
		r.word(rd.Word)
		r.word(rd.Hdoc)
	}
	switch c := s.Cmd.(type) {
	case *syntax.BinaryCmd:
		r.inside(c.X)
		r.inside(c.Y)
		if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
			s.Cmd = r.pipeline(c)
		}
	case *syntax.CallExpr:
		r.assigns(c.Assigns)
		r.words(c.Args)
	case *syntax.DeclClause:
		r.assigns(c.Args)
	case *syntax.Block:
		c.Stmts = r.stmts(c.Stmts)
	case *syntax.Subshell:
		c.Stmts = r.stmts(c.Stmts)
	case *syntax.IfClause:
		for ; c != nil; c = c.Else {
			c.Cond, c.Then = r.stmts(c.Cond), r.stmts(c.Then)
		}
	case *syntax.WhileClause:
		c.Cond, c.Do = r.stmts(c.Cond), r.stmts(c.Do)
	case *syntax.ForClause:
		if it, ok := c.Loop.(*syntax.WordIter); ok {
			r.words(it.Items)
		}
		c.Do = r.stmts(c.Do)
	case *syntax.CaseClause:
		r.word(c.Word)
		for _, it := range c.Items {
			it.Stmts = r.stmts(it.Stmts)
		}
	case *syntax.FuncDecl:
		r.inside(c.Body)
	case *syntax.TimeClause:
		r.inside(c.Stmt)
	}
}

func (r *rewriter) pipeline(c *syntax.BinaryCmd) *syntax.Block {
	r.n++
	n := r.n
	left := &syntax.Stmt{Background: true, Cmd: &syntax.Block{Stmts: []*syntax.Stmt{call(callPlay, n), sub(c.X), call(callEnd, n)}},
		Redirs: []*syntax.Redirect{{Op: syntax.RdrOut, Word: lit(pipePath + strconv.Itoa(n))}}}
	if c.Op == syntax.PipeAll {
		left.Redirs = append(left.Redirs, &syntax.Redirect{Op: syntax.DplOut, N: &syntax.Lit{Value: "2"}, Word: lit("1")})
	}
	return &syntax.Block{Stmts: []*syntax.Stmt{call(callFork, n), left, call(callFrom, n), sub(c.Y), call(callJoin, n)}}
}

func (r *rewriter) assigns(as []*syntax.Assign) {
	for _, a := range as {
		r.word(a.Value)
		if a.Array != nil {
			for _, e := range a.Array.Elems {
				r.word(e.Value)
			}
		}
	}
}

func (r *rewriter) words(ws []*syntax.Word) {
	for _, w := range ws {
		r.word(w)
	}
}

// word finds $(…) wherever it stands in a word.
func (r *rewriter) word(w *syntax.Word) {
	if w == nil {
		return
	}
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Word:
			specials(n.Parts)
		case *syntax.DblQuoted:
			specials(n.Parts)
		}
		if cs, ok := n.(*syntax.CmdSubst); ok {
			cs.Stmts = r.stmts(cs.Stmts)
			return false
		}
		return true
	})
}

func sub(s *syntax.Stmt) *syntax.Stmt {
	return &syntax.Stmt{Cmd: &syntax.Subshell{Stmts: []*syntax.Stmt{s}}}
}

func call(name string, n int) *syntax.Stmt {
	return &syntax.Stmt{Cmd: &syntax.CallExpr{Args: []*syntax.Word{lit(name), lit(strconv.Itoa(n))}}}
}

func lit(s string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.SglQuoted{Value: s}}}
}

// special are the variables through which the interpreter would read the real
// machine: they become $(var NAME).
var special = []string{"RANDOM", "SRANDOM", "EPOCHSECONDS", "EPOCHREALTIME", "SECONDS", "PPID", "$"}

func specials(parts []syntax.WordPart) {
	for i, p := range parts {
		if pe, ok := p.(*syntax.ParamExp); ok && pe.Param != nil && slices.Contains(special, pe.Param.Value) {
			parts[i] = &syntax.CmdSubst{Stmts: []*syntax.Stmt{{Cmd: &syntax.CallExpr{Args: []*syntax.Word{lit("\x01var"), lit(pe.Param.Value)}}}}}
		}
	}
}
