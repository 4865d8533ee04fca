package fleet

import (
	"fmt"
	"os"

	"skiff/fleet/broker"
	"skiff/fleet/state"
)

// reserve is what stays free on the disk, in bytes: JetStream switches itself off when a
// write fails for lack of room, and the state of the fleet with it.
const reserve = 64 << 20

// haveRoom reports state.ErrFull when storing the file at path would fill the disk.
func (s *Server) haveRoom(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read bundle: %w", err)
	}
	free, known := broker.Free(s.cfg.DataDir)
	if known && free < info.Size()+reserve {
		return fmt.Errorf("store bundle of %d bytes with %d free on %s: %w", info.Size(), free, s.cfg.DataDir, state.ErrFull)
	}
	return nil
}
