//go:build !linux

package engine

func largePages([]byte) {}
