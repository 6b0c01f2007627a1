// Package receiver lets a push wake what follows it: it reconciles Flux's Receivers and answers the webhooks that they describe.
//
// A Receiver's address is the SHA-256 of its token, name and namespace, as Flux has it: whoever doesn't know the token doesn't know the
// address. What comes in is believed only as far as its signature goes, and costs little before that: an unknown address is one look into a
// map, bodies are hashed as they pass and kept only where an expression reads them, and each address has its own bounds.
//
// Every replica of the agent answers. On the one that leads, sources that it serves are woken in the process, without a request to the
// API server; everything else is annotated with reconcile.fluxcd.io/requestedAt, which every controller of these kinds understands.
package receiver
