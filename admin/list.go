package admin

// listView is a page of a listing.
type listView[T any] struct {
	Items []T `json:"items"`
	// Next and Prev are cursors: ?after=Next goes on, ?before=Prev goes back, in the order of
	// the listing. "" is the end. Listings by key go forward only.
	Next string `json:"next"`
	Prev string `json:"prev"`
}

func listOf[T any](items []T) listView[T] {
	if items == nil {
		items = []T{}
	}
	return listView[T]{Items: items}
}
