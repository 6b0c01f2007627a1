package source

import "errors"

// Quote makes somebody else's error fit for a message: one line of bounded
// length, printable, with every one of secrets taken out of it. errors.Is still
// finds what it was; it can't be unwrapped.
func Quote(err error, secrets ...string) error {
	var all []string
	for _, s := range secrets {
		all = append(all, spellings(s)...)
	}
	return quote(err, all)
}

// RulesKey identifies the ignore rules that spec.ignore stands for, nil
// included: two requests with the same key and content have the same tree.
func RulesKey(ignore *string) string { return rulesKey(ignore) }

// IsTyped tells whether err is ready for a condition: a fetch has said why it
// failed and what to do.
func IsTyped(err error) bool {
	var typed *Error
	return errors.As(err, &typed)
}
