//go:build race

package main

// raceEnabled says that skiff and its tests are built with the race detector.
const raceEnabled = true
