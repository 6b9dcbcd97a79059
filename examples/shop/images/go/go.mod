module shop/images/go

go 1.19
