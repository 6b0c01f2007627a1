// Package bucket brings what is in a bucket of an S3 server into the store.
//
// A fetch asks for the list of objects, and for those whose entity tag is another one than before. The revision is the SHA-256 over the
// list of keys and entity tags, as Flux has it. What strangers send is bounded: pages, keys, objects and their sum, and the time of it all.
package bucket
