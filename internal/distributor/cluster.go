package distributor

// ClusterSize returns how many distributors share the journal and are there, with this one. It may
// be called concurrently.
func (d *Distributor) ClusterSize() int { return int(max(1, d.clusterSize.Load())) }

// SetClusterSize tells how many distributors share the journal and are there, with this one: the
// limits of RATE_LIMIT_SCOPE=cluster and the deviation of analyzers from their shares depend on
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
