package distributor

// ClusterSize returns the number of live distributors that share the journal, including this one.
// It may be called concurrently.
func (d *Distributor) ClusterSize() int { return int(max(1, d.clusterSize.Load())) }

// SetClusterSize sets the number of live distributors that share the journal, including this one:
// the limits of RATE_LIMIT_SCOPE=cluster and the deviation of analyzers from their shares depend on
// it. It may be called concurrently.
func (d *Distributor) SetClusterSize(distributors int) {
	d.configMu.Lock()
	defer d.configMu.Unlock()
	if d.clusterSize.Swap(int64(distributors)) == int64(distributors) {
		return
	}
	d.limiter.Configure(d.Config().Rate.Part(d.ClusterSize()))
	d.router.SetDistributors(d.ClusterSize())
}
