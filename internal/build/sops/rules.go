package sops

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// defaultUnencrypted is the suffix of keys whose values aren't encrypted when a file says nothing else.
const defaultUnencrypted = "_unencrypted"

// rules tell which values of a file are encrypted. At most one is set.
type rules struct {
	unencryptedSuffix, encryptedSuffix             string
	unencryptedRegex, encryptedRegex               *regexp.Regexp
	unencryptedCommentRegex, encryptedCommentRegex *regexp.Regexp
}

func parseRules(meta map[string]any) (rules, error) {
	var r rules
	var err error
	set := 0
	text := func(field string) string {
		value, _ := meta[field].(string)
		if value != "" {
			set++
		}
		return value
	}
	pattern := func(field string) *regexp.Regexp {
		value := text(field)
		if value == "" {
			return nil
		}
		re, e := regexp.Compile(value)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("its %s is no regular expression", field))
		}
		return re
	}
	r.unencryptedSuffix, r.encryptedSuffix = text("unencrypted_suffix"), text("encrypted_suffix")
	r.unencryptedRegex, r.encryptedRegex = pattern("unencrypted_regex"), pattern("encrypted_regex")
	r.unencryptedCommentRegex, r.encryptedCommentRegex = pattern("unencrypted_comment_regex"), pattern("encrypted_comment_regex")
	switch {
	case err != nil:
		return r, err
	case set > 1:
		return r, errors.New("its metadata has more than one rule for what is encrypted, and sops allows one")
	case set == 0:
		r.unencryptedSuffix = defaultUnencrypted
	}
	return r, nil
}

// encrypted tells whether the value at path is encrypted. comments are those before it, by level.
func (r rules) encrypted(path []string, comments [][]string, isComment bool) bool {
	suffix := func(s string) bool {
		return slices.ContainsFunc(path, func(key string) bool { return strings.HasSuffix(key, s) })
	}
	switch {
	case r.unencryptedSuffix != "":
		return !suffix(r.unencryptedSuffix)
	case r.encryptedSuffix != "":
		return suffix(r.encryptedSuffix)
	case r.unencryptedRegex != nil:
		return !slices.ContainsFunc(path, r.unencryptedRegex.MatchString)
	case r.encryptedRegex != nil:
		return slices.ContainsFunc(path, r.encryptedRegex.MatchString)
	case r.unencryptedCommentRegex != nil:
		return !slices.ContainsFunc(comments, func(level []string) bool { return slices.ContainsFunc(level, r.unencryptedCommentRegex.MatchString) })
	case r.encryptedCommentRegex != nil:
		return r.afterComment(comments, isComment)
	}
	return true
}

// afterComment: the comment that turns encryption on is not encrypted itself.
func (r rules) afterComment(comments [][]string, isComment bool) bool {
	for i, level := range comments {
		if last := len(level) - 1; isComment && i == len(comments)-1 && last >= 0 {
			level = level[:last]
		}
		if slices.ContainsFunc(level, r.encryptedCommentRegex.MatchString) {
			return true
		}
	}
	return false
}
