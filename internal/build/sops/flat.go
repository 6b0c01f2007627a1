package sops

import (
	"errors"
	"strconv"
	"strings"
)

// Formats without structure keep the metadata in flat keys: "age__list_0__map_enc" is the field "enc" of the first element of "age".
const (
	mapStep  = "__map_"
	listStep = "__list_"
)

// step is one level down from a mapping or a list.
type step struct {
	key   string
	index int // -1: in a mapping
}

// steps takes a flat key apart.
func steps(key string) ([]step, error) {
	var out []step
	isList := false
	for {
		end, next, nextIsList := len(key), len(key), false
		if i := strings.Index(key, mapStep); i >= 0 {
			end, next = i, i+len(mapStep)
		}
		if i := strings.Index(key, listStep); i >= 0 && i < end {
			end, next, nextIsList = i, i+len(listStep), true
		}
		s := step{key: key[:end], index: -1}
		if isList {
			i, err := strconv.Atoi(key[:end])
			if err != nil || i < 0 || i >= maxRecipients {
				return nil, errors.New("its metadata has a list whose positions aren't numbers")
			}
			s = step{index: i}
		}
		out = append(out, s)
		if end == len(key) || len(out) > maxDepth {
			return out, nil
		}
		key, isList = key[next:], nextIsList
	}
}

// branchNode is a mapping or list that grows while flat keys are put into it.
type branchNode struct {
	value  any
	keys   map[string]*branchNode
	places map[int]*branchNode
}

// unflatten gives flat metadata its structure back.
func unflatten(flat mapping) (mapping, error) {
	root := &branchNode{}
	for _, e := range flat {
		if e.comment != nil {
			continue
		}
		path, err := steps(e.key)
		if err != nil {
			return nil, err
		}
		at := root
		for _, s := range path {
			at = at.child(s)
		}
		at.value = e.value
	}
	out, ok := root.tree().(mapping)
	if !ok {
		return nil, ErrNotEncrypted
	}
	return out, nil
}

func (n *branchNode) child(s step) *branchNode {
	if s.index >= 0 {
		if n.places == nil {
			n.places = map[int]*branchNode{}
		}
		if n.places[s.index] == nil {
			n.places[s.index] = &branchNode{}
		}
		return n.places[s.index]
	}
	if n.keys == nil {
		n.keys = map[string]*branchNode{}
	}
	if n.keys[s.key] == nil {
		n.keys[s.key] = &branchNode{}
	}
	return n.keys[s.key]
}

func (n *branchNode) tree() any {
	switch {
	case n.keys != nil:
		m := mapping{}
		for key, child := range n.keys { // the order of metadata doesn't matter
			m = append(m, entry{key: key, value: child.tree()})
		}
		return m
	case n.places != nil:
		l := list{}
		for i := range maxRecipients {
			if child := n.places[i]; child != nil {
				l = append(l, child.tree())
			}
		}
		return l
	}
	return n.value
}
