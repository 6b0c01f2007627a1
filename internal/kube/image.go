package kube

import "strings"

// SplitImage cuts what an image is called, NAME[:TAG][@DIGEST], into its parts. What isn't said is empty.
func SplitImage(image string) (name, tag, digest string) {
	name, digest, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") { // else it is a port's
		name, tag = name[:colon], name[colon+1:]
	}
	return name, tag, digest
}
