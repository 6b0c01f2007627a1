package gitserver

import (
	"context"
	"fmt"
	"strings"
)

// Sign replaces the tip of a branch by the same commit with a signature, and returns it. sign is given what Git signs, and returns an
// armoured signature.
func (r *Repo) Sign(ctx context.Context, branch string, sign func(payload string) (string, error)) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw, err := r.run(ctx, nil, "cat-file", "commit", "refs/heads/"+branch)
	if err != nil {
		return "", fmt.Errorf("read the tip of %s: %w", branch, err)
	}
	raw += "\n" // run takes it away
	signature, err := sign(raw)
	if err != nil {
		return "", fmt.Errorf("sign the tip of %s: %w", branch, err)
	}
	head, message, _ := strings.Cut(raw, "\n\n")
	indented := strings.ReplaceAll(strings.TrimRight(signature, "\n"), "\n", "\n ")
	sha, err := r.run(ctx, []byte(head+"\ngpgsig "+indented+"\n\n"+message), "hash-object", "-t", "commit", "-w", "--stdin")
	if err != nil {
		return "", fmt.Errorf("write the signed commit: %w", err)
	}
	if _, err := r.run(ctx, nil, "update-ref", "refs/heads/"+branch, sha); err != nil {
		return "", fmt.Errorf("move %s: %w", branch, err)
	}
	return sha, nil
}
