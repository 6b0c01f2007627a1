package chart

import (
	"text/template"
	"text/template/parse"
)

// Names of functions that templates call without saying so. A chart that calls one gains nothing by it.
const (
	stepWord = "slipwayStep"
	showWord = "slipwayShow"
)

// instrument has the templates of a set call the guard: in every round of a loop, before a value is printed, and around every template in
// a template, which becomes an include. done are the trees that were seen to before.
func instrument(set *template.Template, done map[*parse.Tree]bool) {
	for _, t := range set.Templates() {
		if t.Tree == nil || t.Root == nil || done[t.Tree] {
			continue
		}
		done[t.Tree] = true
		list(t.Root)
	}
}

func list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for i, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			show(n.Pipe)
		case *parse.TemplateNode:
			l.Nodes[i] = included(n)
		case *parse.IfNode:
			list(n.List)
			list(n.ElseList)
		case *parse.WithNode:
			list(n.List)
			list(n.ElseList)
		case *parse.RangeNode:
			list(n.List)
			list(n.ElseList)
			n.List.Nodes = append([]parse.Node{action(n.Pos, n.Line, word(stepWord, n.Pos))}, n.List.Nodes...)
		}
	}
}

// show weighs what a pipeline prints. One that sets a variable prints nothing.
func show(p *parse.PipeNode) {
	if p == nil || len(p.Decl) > 0 {
		return
	}
	p.Cmds = append(p.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: p.Pos, Args: []parse.Node{word(showWord, p.Pos)}})
}

// included is {{include "NAME" PIPELINE}} for {{template "NAME" PIPELINE}}: they write the same, and an include is counted.
func included(n *parse.TemplateNode) parse.Node {
	var data parse.Node = &parse.NilNode{NodeType: parse.NodeNil, Pos: n.Pos}
	if n.Pipe != nil {
		data = n.Pipe
	}
	name := &parse.StringNode{NodeType: parse.NodeString, Pos: n.Pos, Quoted: `""`, Text: n.Name}
	return action(n.Pos, n.Line, word("include", n.Pos), name, data)
}

func word(name string, at parse.Pos) parse.Node { return parse.NewIdentifier(name).SetPos(at) }

func action(at parse.Pos, line int, args ...parse.Node) *parse.ActionNode {
	command := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: args}
	return &parse.ActionNode{
		NodeType: parse.NodeAction, Pos: at, Line: line,
		Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Line: line, Cmds: []*parse.CommandNode{command}},
	}
}
