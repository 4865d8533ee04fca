package fleet

import (
	"context"
	"fmt"
	"os"

	"skiff/fleet/broker"
	"skiff/fleet/state"
)

// reserve stays free, in bytes, on the disk and below Config.MaxStore (of a small limit, a
// quarter): with a full store nats-server refuses even the connections of devices, and on
// a full disk JetStream switches itself off.
const reserve = 64 << 20

// haveRoom reports state.ErrFull when storing the file at path would leave too little.
func (s *Server) haveRoom(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read bundle: %w", err)
	}
	free, known := broker.Free(s.cfg.DataDir)
	if known && free < info.Size()+reserve {
		return fmt.Errorf("store bundle of %d bytes with %d free on %s: %w", info.Size(), free, s.cfg.DataDir, state.ErrFull)
	}
	if s.cfg.MaxStore == 0 {
		return nil
	}
	used, err := s.store.Used(ctx)
	if err != nil {
		return err
	}
	if used+info.Size()+min(reserve, s.cfg.MaxStore/4) > s.cfg.MaxStore {
		return fmt.Errorf("store bundle of %d bytes with %d of %d in use: %w", info.Size(), used, s.cfg.MaxStore, state.ErrFull)
	}
	return nil
}
