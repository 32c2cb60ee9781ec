package distributor

import "testing"

// Dead letters are as safe as packets are.
func TestDeadLettersAreDurableWithADiskJournal(t *testing.T) {
	for journal, want := range map[string]bool{JournalMemory: false, JournalDisk: true} {
		if got := (Config{Journal: journal}).deadLetters().Durable; got != want {
			t.Errorf("JOURNAL=%s: %v", journal, got)
		}
	}
}
