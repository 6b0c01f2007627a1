//go:build linux || darwin

package source

import "golang.org/x/sys/unix"

// space returns what is free on a folder's file system and how large that is, in bytes; -1 where it can't be asked.
func space(dir string) (free, capacity int64) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return -1, -1
	}
	block := uint64(stat.Bsize)
	return int64(stat.Bavail * block), int64(stat.Blocks * block)
}
