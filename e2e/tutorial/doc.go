// Package tutorial follows docs/tutorial-first-delivery.md word by word, so
// that whoever reads it can, too.
package tutorial
