// Package pki makes the certificates of a lab: one authority per lab, kept in the lab's own folder, and the server and client
// certificates that it signs. Keys are ECDSA P-256.
//
// It is for throw-away clusters on one machine: nothing is rotated and nothing can be revoked. It is not for certificates that
// anybody else has to trust.
package pki
